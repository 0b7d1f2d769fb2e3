"""The page that app.py serves: photographs, the webcam, a wardrobe of garments."""
