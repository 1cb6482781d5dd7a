"""A JSON file: read, looked into, and written whole or not at all."""

import json
import os
import shutil


def read(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def holder(content, setting, make=False):
    """The object that has the setting; None where there is none, unless it is to be made."""
    for key in setting.split(".")[:-1]:
        if make:
            content = content.setdefault(key, {})
        else:
            content = content.get(key)
        if not isinstance(content, dict):
            return None
    return content


def write(path, content):
    beside = path + ".new"
    with open(beside, "w", encoding="utf-8") as file:
        json.dump(content, file, indent=2)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    shutil.copystat(path, beside)
    os.rename(beside, path)
