"""The verbs of the command line, one a file: parse, call one library function, print."""
