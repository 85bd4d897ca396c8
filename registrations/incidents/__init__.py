"""What is an incident, what follows from what, when it is over, and when who is told. Pure.

Facts and the time come in, decisions go out. Times are Unix seconds.
"""
