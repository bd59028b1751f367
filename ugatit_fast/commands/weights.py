"""`ugatit-fast weights`."""


def weights_command() -> None:
    """List the networks that are known to exist, by names that every command takes in place of a file.

    Each with what it turns into what, its size and licence as far as they are known, how to come by it, and the page
    that says so. A name that a program can fetch is fetched when it is used; the others say what to do by hand.

    ```
    ugatit-fast weights
    ```
    """
    from ugatit_fast.weights.known import known_weights

    for name, known in known_weights().items():
        size = "size not said" if known.size_bytes is None else in_units(known.size_bytes)
        before, after = known.turns
        print(f"{name}: {before} -> {after} ({known.family}, {size}, licence: {known.licence})")
        print(f"    {known.what}")
        print(f"    {known.by_hand or f'ugatit-fast translate {name} PHOTO'}")
        print(f"    from {known.source}")


def in_units(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:.1f} GB" if size_bytes >= 1e9 else f"{size_bytes / 1e6:.1f} MB"
