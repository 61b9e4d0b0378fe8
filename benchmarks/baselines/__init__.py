"""What a user would run instead of emotion-edge."""
