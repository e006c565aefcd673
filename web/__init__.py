"""HTTP: the API for systems, the console for people, the pages behind links in mails. It never talks to Temporal."""
