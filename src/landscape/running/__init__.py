"""Starting the workflow and looking at its results: launch, plan, check, show, clean."""
