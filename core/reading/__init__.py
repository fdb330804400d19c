"""Files of other people: their bytes as text (encoding), their text as records with line and offset (records, scanner),
what is wrong and where (errors), and what a job says of each record (intake, report). Bytes go in, records come out."""
