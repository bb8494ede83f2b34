"""Whether a selection helps: trainings on equal budgets by strategy and seed, and what they cost."""
