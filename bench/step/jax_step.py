"""The training step of bench/step in JAX, compiled as a whole in the manner of big_vision's trainers."""
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax_bit import bit
from jax_layers import dense
from jax_mobilenetv3 import mobilenetv3
from jax_vit import vit

NETWORKS = {"bit": bit, "mobilenetv3": mobilenetv3, "vit": vit}


class JaxStep:
    """Loss, gradients, clipping by the global norm, Adam, weight decay, in one compiled function."""

    def __init__(self, task: dict, weights: dict[str, np.ndarray]) -> None:
        values = {name: jnp.asarray(value) for name, value in weights.items()}
        moving = [name for name in values if name.endswith(("/mean", "/variance"))]
        self.statistics = {name: values[name] for name in moving}
        self.params = {name: value for name, value in values.items() if name not in self.statistics}
        decays = {name: name.endswith("/kernel") for name in self.params}
        optimizer = optax.chain(
            optax.clip_by_global_norm(task["clip"]),
            optax.scale_by_adam(),
            optax.scale(task["learningRate"]),
            optax.add_decayed_weights(task["weightDecay"], decays),
            optax.scale(-1.0),
        )
        self.kept = optimizer.init(self.params)
        network = functools.partial(NETWORKS[task["model"]["kind"]], task["model"])
        dtype = jnp.dtype(task["dtype"])

        def loss_of(params, statistics, images, teacher):
            x = images.astype(jnp.float32) / 255 * 2 - 1
            features, moved = network({**params, **statistics}, x, dtype)
            logits = dense(params, "head", features, jnp.float32)
            target = jax.nn.softmax(teacher)
            entropy = target * jnp.log(jnp.maximum(target, 1e-8))
            return (entropy - target * jax.nn.log_softmax(logits)).sum(1).mean(), moved

        def step(params, kept, statistics, images, teacher):
            of = jax.value_and_grad(loss_of, has_aux=True)
            (loss, moved), gradients = of(params, statistics, images, teacher)
            updates, kept = optimizer.update(gradients, kept, params)
            return optax.apply_updates(params, updates), kept, moved, loss, optax.global_norm(gradients)

        self.step = jax.jit(step, donate_argnums=(0, 1, 2))

    def __call__(self, images: np.ndarray, targets: np.ndarray) -> tuple[float, float]:
        state = (self.params, self.kept, self.statistics)
        self.params, self.kept, self.statistics, loss, norm = self.step(*state, images, targets)
        return float(loss), float(norm)
