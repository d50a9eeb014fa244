# Says where an interpreter and its packages live. Runs on the host, before any container; imports nothing of
# the project. Python 3.6 and newer.
import sys

# `-c` puts the current folder first, and a project may well have a `json.py`.
del sys.path[0]

import json
import os
import site

try:
    from importlib.metadata import PackageNotFoundError, version
except ImportError:
    from pkg_resources import DistributionNotFound as PackageNotFoundError, get_distribution

    def version(name):
        return get_distribution(name).version


def version_of(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return None


user = site.ENABLE_USER_SITE and os.path.isdir(site.getusersitepackages())
answer = {
    "executable": sys.executable,
    "version": "%d.%d.%d" % sys.version_info[:3],
    "prefixes": [sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix],
    "paths": [path for path in sys.path if os.path.exists(path)],
    "user_base": site.getuserbase() if user else None,
    "packages": {name: version_of(name) for name in sys.argv[1:]},
}
# Start-up files of the environment may print; the answer is what follows the last mark.
sys.stdout.write("\nsoakhound-interpreter:" + json.dumps(answer) + "\n")
