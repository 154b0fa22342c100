"""Redis 5 and later, and Valkey: queues of every framework, read without a lasting trace."""
