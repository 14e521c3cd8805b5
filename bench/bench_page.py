"""The ranking page in real Chromium, worked by keyboard alone against gunicorn and PostgreSQL.

From submit to the next task shown, in the page's own clock: from the key to the second frame after the next task's
first completion is there. Bytes of a task's page with an empty cache and with a full one, and of a task that takes the
place of the one before, as the browser's network counts them, headers included. Key presses and seconds of a ranking
with a tie for K = 4, 6 and 9: presses that arrived in the page, and the time from the first one to the answer's
acknowledgement with no thought in between. The seconds are what page, server and the driver of the keys take; a person
adds reading and thinking.
"""

from __future__ import annotations

import argparse
from functools import partial

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from bench import stack
from bench.stack import K, Web, filled, percentile, session_cookie
from tests.browser.conftest import FLAGS, LAPTOP, chromium_path

WARM = 10  # tasks before the first that counts
KS = (4, 6, 9)
RANKINGS = 20  # for each K
WORDS = 100  # a completion; where bytes are counted, one: they are told beside the task's own text
figure = partial(stack.figure, "page")
# Runs before the page's own scripts. Presses and times of the task at hand.
PROBE = """
    (() => {
        const task = { presses: 0, first: null, submit: null, shown: null, stored: null };
        const done = [];
        // Asked at once, answered when the task is done.
        const after = (count) => new Promise((tell) => {
            const look = () => (done.length > count ? tell(done.at(-1)) : setTimeout(look, 5));
            look();
        });
        window.probe = { done, after };
        const first = () => document.querySelector("main [data-completion]")?.dataset.completion;
        window.addEventListener("keydown", (event) => {
            if (!event.isTrusted || !document.querySelector("main[data-live]")) return;
            task.first ??= event.timeStamp;
            task.presses += 1;
            if (event.key !== "Enter") return;
            task.submit = event.timeStamp;
            task.before = first();
            const look = new MutationObserver(() => {
                if (!first() || first() === task.before) return;
                look.disconnect();
                requestAnimationFrame(() => requestAnimationFrame((now) => {
                    task.shown = performance.now();
                    end();
                }));
            });
            look.observe(document.body, { childList: true, subtree: true });
        }, { capture: true });
        document.addEventListener("answer:stored", () => {
            task.stored = performance.now();
            end();
        });
        function end() {
            if (task.shown === null || task.stored === null) return;
            done.push({
                presses: task.presses, shown: task.shown - task.submit, stored: task.stored - task.submit,
                whole: task.stored - task.first,
            });
            Object.assign(task, { presses: 0, first: null, submit: null, shown: null, stored: null });
        }
    })();
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=250, help="from submit to the next one shown (%(default)s)")
    parser.add_argument("--many", type=int, default=1_000, help="tasks waiting meanwhile (%(default)s)")
    args = parser.parse_args()
    with stack.stack(), Web() as web, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=FLAGS)
        measure(browser, web, args)
        browser.close()


def measure(browser: Browser, web: Web, args: argparse.Namespace) -> None:
    from labeling.people.models import User

    people = {name: session_cookie(User.objects.create_user(name)) for name in ("ada", "bo", "cleo", *map(str, KS))}
    needed = args.tasks + WARM + 3
    with filled(max(args.many, needed), completed=needed, overlap=1, words=WORDS):
        page = begin(sign_in(browser, web, people["ada"]))
        times = [rank_one(page, K) for _ in range(WARM + args.tasks)][WARM:]
        sizes = {"tasks": args.tasks, "waiting": max(args.many, needed), "k": K}
        for name, what in (("next task shown", "shown"), ("answer acknowledged", "stored")):
            values = [time[what] for time in times]
            for share in (0.5, 0.95):
                figure(f"from submit to {name}: p{share * 100:.0f}", percentile(values, share), "ms", **sizes)
        page.context.close()
    with filled(10, overlap=1, words=1):
        measure_bytes(sign_in(browser, web, people["bo"]), k=K)
    for k in KS:
        with filled(RANKINGS + 3, k=k, overlap=1, words=WORDS):
            page = begin(sign_in(browser, web, people[str(k)]))
            rankings = [rank_one(page, k) for _ in range(1 + RANKINGS)][1:]
            sizes = {"k": k, "rankings": RANKINGS}
            figure("key presses of a ranking", max(one["presses"] for one in rankings), "1", allowed=2 * k + 2, **sizes)
            whole = [one["whole"] / 1e3 for one in rankings]
            figure("seconds of a ranking without thought: median", percentile(whole, 0.5), "s", **sizes)
            page.context.close()


def sign_in(browser: Browser, web: Web, session: str) -> BrowserContext:
    context = browser.new_context(base_url=web.url, viewport=LAPTOP)
    context.add_cookies([{"name": "sessionid", "value": session, "url": web.url}])
    context.add_init_script(PROBE)
    return context


def begin(context: BrowserContext) -> Page:
    """From the queue to the first task, its script running."""
    page = context.new_page()
    page.goto("/work/")
    page.get_by_role("button", name="Begin").click()
    page.wait_for_selector("main[data-live]")
    return page


def rank_one(page: Page, k: int) -> dict:
    """Rate all, rank all with the first two tied, submit; what the page measured once the next task is there."""
    before = page.evaluate("probe.done.length")
    for number in range(k):
        page.keyboard.press(str(1 + number % 7))
    for number in range(k):
        page.keyboard.press(str(max(1, number)))
    page.keyboard.press("Enter")
    return page.evaluate("(before) => probe.after(before)", before)


def measure_bytes(context: BrowserContext, *, k: int) -> None:
    page = context.new_page()
    page.goto("/work/")
    page.get_by_role("button", name="Begin").click()
    page.wait_for_selector("main[data-live]")
    address = page.url
    network = context.new_cdp_session(page)
    network.send("Network.enable")
    received, urls = [], {}
    network.on("Network.requestWillBeSent", lambda event: urls.update({event["requestId"]: event["request"]["url"]}))
    network.on(
        "Network.loadingFinished",
        lambda event: received.append((urls.get(event["requestId"], ""), event["encodedDataLength"])),
    )

    def counted(act) -> list[tuple[str, int]]:
        """Address and bytes of what is received while `act` runs and until the network is quiet."""
        page.wait_for_load_state("networkidle")
        received.clear()
        act()
        page.wait_for_load_state("networkidle")
        page.wait_for_timeout(1_000)  # a draft may follow
        return [(url, count) for url, count in received if count]

    def show() -> None:
        page.goto(address)
        page.wait_for_selector("main[data-live]")

    network.send("Network.clearBrowserCache")
    network.send("Network.setCacheDisabled", {"cacheDisabled": False})
    # What a page fetches ahead is the next task, and counted there.
    for name, act, ahead in (
        ("a task's page, empty cache", show, False),
        ("a task's page, full cache", show, False),
        ("the next task in its place", lambda: rank_one(page, k), True),
    ):
        sizes = [count for url, count in counted(act) if ahead or not url.endswith("/tasks/ahead/")]
        figure(f"bytes of {name}", sum(sizes) / 1e3, "kB", requests=len(sizes), k=k)
    context.close()


if __name__ == "__main__":
    main()
