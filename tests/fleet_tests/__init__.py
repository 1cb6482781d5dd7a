"""Do the real nodes do what their users rely on, and do they leave nothing behind?"""
