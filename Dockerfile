# Two images: `web` for web, worker and scheduler, without torch; `train` for the gpu-worker, with it.
#   docker build --target web --tag kwise-web .      docker build --target train --tag kwise-train .
FROM python:3.11-slim-bookworm AS web

ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PYTHONPATH=/app HF_HUB_OFFLINE=1 \
    DJANGO_SETTINGS_MODULE=config.settings KWISE_HOME=/data

# The number, not the name, so that a volume keeps its owner; /data is made here so that a new volume has this owner too.
RUN useradd --uid 10001 --create-home kwise \
    && install --directory --owner kwise --group kwise --mode 0700 /data \
    && pip install --no-cache-dir uv==0.13.9

WORKDIR /app
# Dependencies first: they change less often than the code.
COPY pyproject.toml ./
RUN uv pip install --system --no-cache -r pyproject.toml --extra web
COPY . .

USER 10001
VOLUME /data
EXPOSE 8000
CMD ["gunicorn", "--config", "config/gunicorn.py", "config.wsgi"]


FROM web AS train

USER root
# A Triton kernel is compiled on first use, which takes a C compiler.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
RUN uv pip install --system --no-cache -r pyproject.toml --extra web --extra train
USER 10001
CMD ["celery", "-A", "config", "worker", "-Q", "gpu", "--pool", "threads", "--concurrency", "1", "-n", "gpu@%h"]
