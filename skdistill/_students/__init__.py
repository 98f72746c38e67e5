"""The default student: preprocessing of tables, and a small net."""
