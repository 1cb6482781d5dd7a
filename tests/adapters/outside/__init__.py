"""Work done elsewhere: a web server of this machine's, and AWS as moto has it."""
