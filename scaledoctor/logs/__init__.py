"""Reading log files, whatever wrote them: readers, time stamps, formats."""
