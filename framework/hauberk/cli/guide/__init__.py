"""What the security guide's code left on the disk, and taking it over."""
