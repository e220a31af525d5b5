"""A study's report, made from its plan and its table alone: findings, shares, floors, power, who gained or lost."""
