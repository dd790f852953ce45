"""From fields of view to crops: cut, measured, judged, kept with what made them."""
