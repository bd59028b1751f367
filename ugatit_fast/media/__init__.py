"""Files <-> pixels: photos, videos, animations, sound, HDR, folders, archives, fitting and tiles."""
