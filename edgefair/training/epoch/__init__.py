"""What an epoch is made of: which rows it uses, and how the network computes on them."""
