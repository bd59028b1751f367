"""How good is it: KID and FID by three published protocols."""
