from labeling.pipeline import queries
from labeling.pipeline.models import Run
from tests.factories import make_demonstration, make_prompt, make_ranking, make_task


def trained(make_checkpoint, *, algorithm, dataset, base, reward=None, auxiliary=None):
    name = f"{algorithm}-of-{dataset.name}"
    run = Run.objects.create(
        name=name,
        algorithm=algorithm,
        dataset=dataset,
        base=base,
        reward=reward,
        auxiliary=auxiliary,
        folder="/nowhere",
    )
    return make_checkpoint(name, kind="reward" if algorithm == "rm" else "policy", run=run)


def test_ranking_is_followed_to_every_checkpoint_that_learned_from_it(make_dataset, make_checkpoint, ada, bo):
    mine, other = make_ranking(task=make_task(), labeler=ada), make_ranking(task=make_task(), labeler=bo)
    written = make_demonstration(prompt=make_prompt(), labeler=ada, text="Yes.")
    prompt = make_prompt()
    base = make_checkpoint("base")
    sft = trained(
        make_checkpoint, algorithm="sft", dataset=make_dataset("demonstrations", demonstrations=[written]), base=base
    )
    rm = trained(
        make_checkpoint,
        algorithm="rm",
        dataset=make_dataset("comparisons", rankings=[mine, other], name="both"),
        base=sft,
    )
    rm_other = trained(
        make_checkpoint, algorithm="rm", dataset=make_dataset("comparisons", rankings=[other], name="one"), base=sft
    )
    ppo = trained(
        make_checkpoint, algorithm="ppo", dataset=make_dataset("prompts", prompts=[prompt]), base=sft, reward=rm
    )
    again = trained(
        make_checkpoint,
        algorithm="ppo",
        dataset=make_dataset("prompts", prompts=[prompt], name="again"),
        base=ppo,
        reward=rm_other,
    )
    assert list(queries.checkpoints_of_ranking(mine)) == [rm, ppo, again]
    assert list(queries.checkpoints_of_ranking(other)) == [rm, rm_other, ppo, again]
    assert list(queries.checkpoints_of_prompt(written.task.item.prompt)) == [sft, rm, rm_other, ppo, again]
    assert list(queries.checkpoints_of_prompt(mine.task.item.prompt)) == [rm, ppo, again]

    found = queries.lineage(ppo)
    assert [(one.checkpoint, one.relation, one.rankings, one.demonstrations) for one in found] == [
        (ppo, "itself", 0, 0),
        (sft, "base", 0, 1),
        (rm, "reward", 2, 0),
        (base, "base", 0, 0),
    ]
    assert [dataset.name for dataset in found[2].datasets] == ["both"]


def test_second_data_set_counts_as_learned_from(make_dataset, make_checkpoint, ada):
    written = make_demonstration(prompt=make_prompt(), labeler=ada, text="Yes.")
    mix = make_dataset("demonstrations", demonstrations=[written])
    base, rm = make_checkpoint("base"), make_checkpoint("rm", kind="reward")
    ppo = trained(
        make_checkpoint, algorithm="ppo", dataset=make_dataset("prompts"), base=base, reward=rm, auxiliary=mix
    )
    assert list(queries.checkpoints_of_datasets([mix.pk])) == [ppo]
    assert queries.lineage(ppo)[0].demonstrations == 1
