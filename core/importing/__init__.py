"""The import job: the files in what the user named (walk), which importer reads each (recognise), the job (jobs, work).
Each recognised file is handed to core.conversations or core.datasets."""
