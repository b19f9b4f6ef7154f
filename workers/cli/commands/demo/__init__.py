"""`kyb demo`: everything in one process."""
