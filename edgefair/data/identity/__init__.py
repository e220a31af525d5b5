"""Who a row is, and where else it is: ids, equal rows, splits, and rows that a model has seen.

A verdict counts people. What is counted twice, or was trained on, is found here.
"""
