"""What wrong labels and groups on record hide: thresholds and limits of true differences, by declared error rates."""
