mod calls;
mod evidence;
