"""What people see: money in readable units, tables, the words around them."""
