"""Kwise's trainers: supervised fine-tuning, reward model and PPO-ptx after Ouyang et al. 2022, without Django.

`python -m training --help` starts one. `training.formats` is all that the web side imports.
"""
