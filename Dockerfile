# One image for every process of Rollcall; docker-compose.yml says which runs what.
ARG PYTHON_IMAGE=python:3.11-slim
FROM ${PYTHON_IMAGE}

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PATH=/opt/rollcall/bin:$PATH DATA_DIR=/tmp/rollcall BIND=0.0.0.0

RUN groupadd --gid 10001 rollcall && useradd --uid 10001 --gid 10001 --no-create-home rollcall \
    && python3 -m venv /opt/rollcall

WORKDIR /srv/rollcall
COPY requirements.txt ./
RUN pip install -r requirements.txt

COPY manage.py ./
COPY fleet fleet
COPY registrations registrations
COPY static static
COPY templates templates
# Where the image brings a C compiler (python:3.11 does, -slim does not) the hot rooms become machine
# code, as by `make compile`.
COPY .ci/compile.py .ci/spelled.py .ci/
COPY requirements-dev.txt ./
RUN if command -v gcc >/dev/null; then python3 -m venv /tmp/compiler \
    && /tmp/compiler/bin/pip install $(grep -hE '^(mypy|mypy_extensions|setuptools)==' requirements*.txt) \
    && /tmp/compiler/bin/python .ci/compile.py && rm -r /tmp/compiler; fi
# Compiled now: nothing is written later, so that the root may be read-only.
RUN python3 -m compileall -q fleet registrations

USER 10001:10001
EXPOSE 8000
CMD ["uvicorn", "fleet.config.asgi:application", "--host", "0.0.0.0", "--port", "8000", \
     "--loop", "uvloop", "--ws-per-message-deflate", "false", "--timeout-graceful-shutdown", "3", \
     "--no-server-header"]
