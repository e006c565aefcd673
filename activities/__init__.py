"""Steps of the workflows, one class for each noun: a method is one ledger transaction, or one call outside."""
