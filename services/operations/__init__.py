"""Views and actions of operators; metrics of the whole system."""
