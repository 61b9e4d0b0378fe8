"""What l4t_initrd_flash.sh of each release takes, as its parser was read; our own table, no word of NVIDIA's.

R36.2's stands for R36, R38.4's was not compared with R39.2's line by line.
"""

from __future__ import annotations

ALL, LATER, NEW = (35, 36, 38, 39), (36, 38, 39), (38, 39)
WITH_VALUE = {
    **dict.fromkeys(("-c", "-S", "-p", "-u", "-v", "-k", "--external-device", "--network", "--usb-instance",
                     "--direct", "--device-instance", "--pv-crt"), ALL),
    **dict.fromkeys(("-i", "--image", "--uefi-keys", "--uefi-enc"), LATER),
    **dict.fromkeys(("-P", "--pv-enc", "--profile", "--boot-chain-flash", "--boot-chain-select"), NEW),
    "--user_key": (35, 36), "-r": (39,), "--flashutils": (39,),
}  # fmt: skip
BARE = {
    **dict.fromkeys(("--external-only", "--no-flash", "--flash-only", "--showlogs", "--keep", "--reuse",
                     "--append", "--erase-all", "--initrd", "--sparse", "--skipuid",
                     "--use-backup-image"), ALL),
    "--with-systemimg": LATER, "--no-root-check": (39,),
    **dict.fromkeys(("--qspi-only", "--mass-storage-only", "--odm-image-gen", "--ekb-pair", "--boot-rootfs",
                     "--ufs-provision", "--read-ramcode", "--hsm"), NEW),
}  # fmt: skip
ENVIRONMENT = {
    **dict.fromkeys(("BOARDID", "BOARDSKU", "FAB", "BOARDREV", "CHIP_SKU", "ROOTFS_AB", "ROOTFS_ENC",
                     "EXTOPTIONS", "ADDITIONAL_DTB_OVERLAY_OPT"), ALL),
    **dict.fromkeys(("EXT_NUM_SECTORS", "INT_NUM_SECTORS"), LATER),
}  # fmt: skip
ROOT_DEVICES = ("internal", "external")


def parse(words: list[str], major: int) -> tuple[dict[str, str], str, str]:
    """Options, board and root device, read as that release does; AssertionError where it would stop."""
    *options, board, device = words
    found, left = dict[str, str](), list(options)
    while left:
        word = left.pop(0)
        assert word not in found, f"{word} twice"
        if word == "--massflash":  # takes the next word only if that is digits
            found[word] = left.pop(0) if left and left[0].isdecimal() else ""
        elif major in WITH_VALUE.get(word, ()):
            assert left, f"{word} has no value"
            assert left[0] not in (WITH_VALUE | BARE), f"{word} swallows the next word"
            found[word] = left.pop(0)
        else:
            assert major in BARE.get(word, ()), f"{word} is no option of R{major}"
            found[word] = ""
    assert not board.startswith("-")
    assert device in ROOT_DEVICES
    if "--external-device" in found or "-c" in found:
        assert {"--external-device", "-c"} <= set(found), "they go together"
    return found, board, device
