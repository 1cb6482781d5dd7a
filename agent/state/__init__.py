"""What a node knows of itself and must not forget, on its disk: who it is, what it holds, what it did and may do.

Belongs here: files under the state directory with the rules that keep them whole and never older. Nothing here acts.
"""
