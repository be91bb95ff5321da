"""Mail to users: what each one says, when it is sent, and how."""
