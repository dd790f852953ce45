"""Images from the web into a folder: listed, paced, resumed, checked."""
