"""The demo that `snuggles up --demo` runs, and the sample recording it uses."""
