"""What a person should look at, what they decide, and what that leaves."""
