"""The settings of GRPO that every run of TRL here has: those that svs trains with, on the CPU in f32."""

from trl import GRPOConfig


def settings(**own):
    """TRL's configuration, with what a run has of its own."""
    return GRPOConfig(
        lr_scheduler_type="constant",
        warmup_steps=0,
        beta=0.0,
        loss_type="dapo",
        temperature=1.0,
        epsilon=0.2,
        epsilon_high=0.28,
        scale_rewards="group",
        max_grad_norm=1.0,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        use_cpu=True,
        bf16=False,
        fp16=False,
        gradient_checkpointing=False,
        dataloader_num_workers=0,
        disable_tqdm=True,
        log_level="error",
        **own,
    )
