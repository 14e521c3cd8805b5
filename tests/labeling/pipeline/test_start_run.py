import pytest

from labeling.audit.models import AuditEvent
from labeling.background.models import Job
from labeling.pipeline import queries, services
from labeling.refusals import Conflict, NotFound, Refusal
from tests.factories import make_demonstration, make_prompt, make_ranking, make_task


def test_run_is_queued_on_the_gpu_queue_once(base, make_dataset, rita):
    run = services.start_run(algorithm="sft", dataset=make_dataset("demonstrations"), base=base, created_by=rita)
    assert run.name == "sft-1"
    assert (run.job.kind, run.job.queue, run.job.key) == ("train", Job.Queue.GPU, f"train:{run.pk}")
    assert AuditEvent.objects.filter(action="run.started", actor=rita, subject_id=str(run.pk)).exists()


@pytest.mark.parametrize(
    ("algorithm", "kind"),
    [("sft", "comparisons"), ("sft", "prompts"), ("rm", "demonstrations"), ("rm", "prompts"), ("ppo", "comparisons")],
)
def test_data_set_of_another_kind_is_refused(base, make_dataset, make_checkpoint, algorithm, kind):
    reward = make_checkpoint("rm", kind="reward") if algorithm == "ppo" else None
    with pytest.raises(Refusal, match="learns from"):
        services.start_run(algorithm=algorithm, dataset=make_dataset(kind), base=base, reward=reward)


def test_unfitting_parts_are_refused_with_a_sentence(base, make_dataset, make_checkpoint):
    reward, prompts = make_checkpoint("rm", kind="reward"), make_dataset("prompts")
    demonstrations, comparisons = make_dataset("demonstrations"), make_dataset("comparisons")

    def refused(match: str, **parts):
        with pytest.raises(Refusal, match=match):
            services.start_run(**{"algorithm": "sft", "dataset": demonstrations, "base": base, **parts})

    refused("no algorithm", algorithm="dpo")
    refused("needs a reward model", algorithm="ppo", dataset=prompts)
    refused("takes no reward model", reward=reward)
    refused("is a policy", algorithm="ppo", dataset=prompts, reward=base)
    refused("is a reward model", base=reward)
    refused("no second data set", auxiliary=demonstrations)
    refused("must hold demonstrations", algorithm="rm", dataset=comparisons, auxiliary=comparisons)
    refused("no preset", preset="../../etc/passwd")
    refused("seed", seed=-1)
    refused("seed", seed=2**32)
    refused("seed", seed=True)
    refused("will not do", name="../escape")
    refused("set by the run itself", arguments={"out": "/tmp/elsewhere"})
    refused("no argument", arguments={"--model": "x"})
    refused("must be a number", arguments={"epochs": [1]})
    assert not queries.runs_page().items


def test_unfinished_data_set_is_refused(base, db):
    from labeling.exports.models import Dataset

    with pytest.raises(Refusal, match="not complete"):
        services.start_run(algorithm="sft", dataset=Dataset.objects.create(kind="demonstrations"), base=base)


def test_held_out_answers_never_train(base, make_dataset, hal, ada):
    ranking = make_ranking(task=make_task(), labeler=hal)
    with pytest.raises(Refusal, match="held-out"):
        services.start_run(algorithm="rm", dataset=make_dataset("comparisons", rankings=[ranking]), base=base)
    written = make_demonstration(prompt=make_prompt(), labeler=hal, text="No.")
    demonstrations = make_dataset("demonstrations", demonstrations=[written])
    with pytest.raises(Refusal, match="held-out"):
        services.start_run(algorithm="sft", dataset=demonstrations, base=base)
    mine = make_dataset("comparisons", rankings=[make_ranking(task=make_task(), labeler=ada)])
    with pytest.raises(Refusal, match="held-out"):
        services.start_run(algorithm="rm", dataset=mine, base=base, auxiliary=demonstrations)


def test_name_is_one_model_for_ever(base, make_dataset):
    dataset = make_dataset("demonstrations")
    services.start_run(algorithm="sft", dataset=dataset, base=base, name="mine")
    for taken in ("mine", "tiny"):
        with pytest.raises(Conflict, match="already"):
            services.start_run(algorithm="sft", dataset=dataset, base=base, name=taken)


def test_base_registers_once(base, tiny_policy, tmp_path):
    assert services.register_base(folder=tiny_policy, name="tiny") == base
    other = tmp_path / "other"
    other.mkdir()
    (other / "config.json").write_text("{}")
    with pytest.raises(Refusal, match="no model folder"):
        services.register_base(folder=other, name="other")
    (other / "model.safetensors").write_bytes(b"other weights")
    with pytest.raises(Conflict, match="Another model"):
        services.register_base(folder=other, name="tiny")


def test_weights_hash_is_the_trainers(tiny_policy):
    from training.runs import weights_hash

    assert services.hash_weights(tiny_policy) == weights_hash(str(tiny_policy))


def test_unknown_things_are_not_found(db):
    for reference in ("nothing", "", "00000000-0000-0000-0000-000000000000"):
        for find in (queries.get_run, queries.get_checkpoint, queries.get_dataset):
            with pytest.raises(NotFound):
                find(reference)
