#!/bin/sh
# Sets up The Littlest JupyterHub for the kit. First run its own installer (https://tljh.jupyter.org).
# Then clone the kit into a folder that everybody may read, such as /opt/sdkit, and run this in it:
#   sudo sh deploy/tljh.sh
set -eu
cd "$(dirname "$0")/.."
TLJH="${TLJH:-/opt/tljh}"
"$TLJH/user/bin/python" -m pip install -r .binder/requirements.txt
"$TLJH/user/bin/python" -m pip install --no-deps -e .
# JupyterLab then does not ask each person whether they want Jupyter's news. The file has its own place
# beside the settings of the hub.
OFF="$TLJH/user/etc/jupyter/labconfig/page_config.d"
mkdir -p "$OFF"
cp sdkit/lessons/jupyter/labconfig/page_config.json "$OFF/sdkit.json"
mkdir -p "$TLJH/config/jupyterhub_config.d"
cp deploy/jupyterhub_config.d/sdkit.py "$TLJH/config/jupyterhub_config.d/sdkit.py"
# what a new person finds in their home folder
mkdir -p /etc/skel
cp -r notebooks docs /etc/skel/
tljh-config set limits.memory 3G
tljh-config set limits.cpu 1
tljh-config set user_environment.default_app jupyterlab
tljh-config reload
