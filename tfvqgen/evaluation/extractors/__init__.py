"""What finds features of images, for distances between sets of them."""
