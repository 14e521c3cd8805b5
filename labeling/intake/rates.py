"""How many prompts a minute programs may send to a source: a bucket of tokens in Redis, one for all web processes.

A bucket holds what a minute allows and fills evenly. A request takes a token for each prompt and passes while the
bucket has as many as it takes, or is full: so many prompts in one request that no bucket holds them pass too, and leave
it in debt. Redis only carries the count: emptied, buckets are full again; gone, nobody is held back.
"""

from __future__ import annotations

import functools
import math

import redis
import structlog
from django.conf import settings
from django.utils.translation import gettext as _

from labeling.intake.models import Source
from labeling.refusals import TooMany

log = structlog.get_logger(__name__)
PATIENCE = 0.5  # seconds for Redis to answer
# KEYS: the bucket. ARGV: its size, tokens a second, tokens wanted. Seconds to wait, "0" where it may pass.
TAKE = """
local now = redis.call('TIME')
now = now[1] + now[2] / 1000000
local size, rate, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local held = redis.call('HMGET', KEYS[1], 'level', 'at')
local level = tonumber(held[1]) or size
level = math.min(size, level + math.max(0, now - (tonumber(held[2]) or now)) * rate)
local needed, wait = math.min(wanted, size), 0
if level + 0.000001 >= needed then level = level - wanted else wait = (needed - level) / rate end
redis.call('HSET', KEYS[1], 'level', tostring(level), 'at', string.format('%.6f', now))
redis.call('EXPIRE', KEYS[1], math.ceil((size - level) / rate) + 60)
return tostring(wait)
"""


@functools.cache
def _client(url: str) -> redis.Redis:
    return redis.Redis.from_url(url, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE)


def take(*, source: Source, prompts: int) -> None:
    """Count `prompts` that are sent to the source now. TooMany, with the seconds to wait, where its rate is used up."""
    size = source.rate_per_minute
    try:
        said = _client(settings.BROKER_URL).eval(TAKE, 1, f"kwise:rate:{source.pk}", size, size / 60, prompts)
    except redis.RedisError as error:
        log.warning("rate_not_counted", source=source.pk, error=str(error))
        return
    wait = math.ceil(float(said))
    if wait:
        raise TooMany(
            _("The source {name} takes {rate} prompts a minute; send the next in {seconds} seconds.").format(
                name=source.name, rate=size, seconds=wait
            ),
            retry_after=wait,
        )
