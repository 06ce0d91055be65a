"""Start the workflow and look at its results: launch, plan, check, show, clean."""
