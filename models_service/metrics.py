"""Figures of the embedded server in Prometheus' format. A registry of its own: tests may start several servers."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

STEP_BUCKETS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)  # seconds
REQUEST_BUCKETS = (0.01, 0.05, 0.2, 1, 2, 5, 10, 30, 60, 120, 300)  # seconds


class Metrics:
    """Counters by model or route; models are few and routes fixed, so no label grows with what users send."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        model = ["model"]
        self.generated = Counter("kwise_generated_tokens", "Tokens sampled.", model, registry=self.registry)
        self.prefilled = Counter(
            "kwise_prefilled_tokens", "Prompt tokens run through the model; once for all n samples.", model,
            registry=self.registry,
        )  # fmt: skip
        self.scored = Counter("kwise_scored_texts", "Texts scored by a reward model.", model, registry=self.registry)
        self.running = Gauge("kwise_running_samples", "Samples in the making.", model, registry=self.registry)
        self.step_seconds = Histogram(
            "kwise_step_seconds", "Time for one token of every running sample.", model,
            buckets=STEP_BUCKETS, registry=self.registry,
        )  # fmt: skip
        self.loaded = Gauge("kwise_loaded_models", "Models with their weights in memory.", registry=self.registry)
        self.requests = Counter(
            "kwise_requests", "Answers by route and status.", ["route", "status"], registry=self.registry
        )
        self.request_seconds = Histogram(
            "kwise_request_seconds", "Time to answer.", ["route"], buckets=REQUEST_BUCKETS, registry=self.registry
        )
