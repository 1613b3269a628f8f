import jax
from hypothesis import HealthCheck, Phase, settings

# a promotion nobody wrote is a mistake, such as float64 creeping into a float32 kernel
jax.config.update("jax_numpy_dtype_promotion", "strict")

settings.register_profile(
    "riskshare",
    deadline=None,
    print_blob=True,
    derandomize=True,
    database=None,
    max_examples=25,
    # shrinking a whole case takes minutes: ask for it with --hypothesis-profile=shrunk
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.large_base_example,
    ],
)
settings.register_profile("shrunk", settings.get_profile("riskshare"), phases=tuple(Phase))
settings.load_profile("riskshare")
