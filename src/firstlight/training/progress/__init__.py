"""How far trainings are: what they tell their caller, and what is seen of that."""
