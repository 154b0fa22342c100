"""Access logs of balancers and web servers: formats, routes and what they add up to."""
