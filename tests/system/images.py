"""CD images for the system tests. The same image is made once in a session.

An image is described first and made when it is known for which machine: how a machine is told to
end stands on Skerry's command line, and differs from platform to platform.

    make = packed({"guests": [...]})
    path = make("exit=bochs loglevel=debug")
"""

import functools
import hashlib
import json
import os
import shutil
import subprocess

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(TOP, "build")
HYPERVISOR = os.path.join(BUILD, "skerry.elf")
PAYLOAD = os.path.join(BUILD, "payload")
SYSTEM = os.path.join(BUILD, "system")
FOLDER = os.path.join(SYSTEM, "iso")
ISO_TOOL = os.path.join(TOP, "tools", "skerry-iso")


def payload(name):
    """A file that `make payloads` made."""
    path = os.path.join(PAYLOAD, name)
    assert os.path.exists(path), f"{path} is not there: run make payloads"
    return path


def packed(config, files=None, hypervisor=HYPERVISOR):
    """An image of tools/skerry-iso for a configuration (a dict) and {name in the configuration: path
    of a file}. Names that `files` leaves out are payloads."""
    files = dict(files or {})
    for guest in config.get("guests", []):
        boot = guest.get("boot", {})
        for name in [guest.get("symbols"), *guest.get("fw_cfg", {}).values(),
                     *(boot.get(key) for key in ("linux", "multiboot", "pvh", "firmware", "kernel",
                                                 "initrd")),
                     *(m["file"] if isinstance(m, dict) else m for m in boot.get("modules", []))]:
            if name and name not in files:
                files[name] = payload(name)
    return functools.partial(_make_packed, config, files, hypervisor)


def _make_packed(config, files, hypervisor, append):
    text = json.dumps(config, indent=4)
    out, folder = _places(text, files, append, hypervisor, "packed")
    if os.path.exists(out):
        return out
    for name, path in files.items():
        link = os.path.join(folder, name)
        os.makedirs(os.path.dirname(link), exist_ok=True)
        os.symlink(os.path.abspath(path), link)
    os.makedirs(folder, exist_ok=True)
    config_path = os.path.join(folder, "guests.json")
    with open(config_path, "w", encoding="utf-8") as f:
        f.write(text)
    subprocess.run([ISO_TOOL, "-o", out, "--append", append, "--hypervisor", hypervisor,
                    config_path], check=True)
    shutil.rmtree(folder)
    return out


def raw(config_text, modules=(), hypervisor=HYPERVISOR, grub_unpacks=False):
    """An image whose configuration is any bytes and whose module lines are any [(string, path)]:
    what tools/skerry-iso would refuse, to see what Skerry says. config_text None: no such module.
    grub_unpacks: files that are packed by gzip, which it leaves as they are otherwise."""
    return functools.partial(_make_raw, config_text, modules, hypervisor, grub_unpacks)


def _make_raw(config_text, modules, hypervisor, grub_unpacks, append):
    out, root = _places(repr((config_text, grub_unpacks)), {s: p for s, p in modules}, append,
                        hypervisor, "raw")
    if os.path.exists(out):
        return out
    os.makedirs(os.path.join(root, "boot", "grub"))
    shutil.copyfile(hypervisor, os.path.join(root, "boot", "skerry.elf"))
    lines = ["set timeout=0", "menuentry Skerry {", f"\tmultiboot2 /boot/skerry.elf {append}"]
    if config_text is not None:
        data = config_text if isinstance(config_text, bytes) else config_text.encode()
        with open(os.path.join(root, "boot", "guests.json"), "wb") as f:
            f.write(data)
        lines.append("\tmodule2 /boot/guests.json config")
    for number, (string, path) in enumerate(modules):
        shutil.copyfile(path, os.path.join(root, "boot", str(number)))
        lines.append(f"\tmodule2 /boot/{number} {string}")
    with open(os.path.join(root, "boot", "grub", "grub.cfg"), "w", encoding="utf-8") as f:
        f.write("\n".join(lines + ["}", ""]))
    grub_modules = "normal multiboot2 iso9660 part_msdos" + (" gzio" if grub_unpacks else "")
    subprocess.run(["grub-mkrescue", "-o", out, "--locales=", "--fonts=", "--themes=",
                    "--install-modules=" + grub_modules, root], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    shutil.rmtree(root)
    return out


def _places(text, files, append, hypervisor, kind):
    """The image's path, and a folder to put it together in."""
    h = hashlib.sha256(repr((kind, text, append)).encode())
    for name, path in sorted(list(files.items()) + [("", hypervisor)]):
        stat = os.stat(path)
        h.update(repr((name, os.path.realpath(path), stat.st_size, stat.st_mtime_ns)).encode())
    folder = os.path.join(FOLDER, h.hexdigest()[:16])
    return folder + ".iso", folder
