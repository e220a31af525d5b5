"""Several looks at growing rows that share one error probability."""
