import gc,sys,time; gc.disable()
import sys,time; sys.path[:0]=["tests/support","tests/vectors"]
from exercise_histories import *
from p2pshare.spaces.fold import SpaceFold, parents_first
from p2pshare.spaces.canonical import canonical
def build(size_per_author, authors, injects, value_of=lambda i:"a.example", many=False, objects=False):
    t=ExerciseTeller("LWABCO", injects=injects, duration=2_000_000)
    t.commit(); last=t.start(factor=60)
    n=3+1
    num={}
    heads=[last]
    numL=t.last_number("L",[last])
    # all joins merged
    m=t.merge("L"); last=m; numL+=1
    def L(fn):
        nonlocal last,numL
        numL+=1; last=fn(after=[last],number=numL)
    for i in range(1,len(injects)+1):
        L(lambda **h: t.release(i,at=10+i,**h))
    base=last
    tips=[]
    acts=[]
    for a in authors:
        tip=base; num=t.last_number(a,[base])
        for k in range(size_per_author):
            num+=1
            if objects: tip=t.publish(a,*[f"v{j}-{k%7}.example" for j in range(16)],after=[tip],number=num,at=2000+k)
            else: tip=t.sight(a,value_of(k),after=[tip],number=num,at=2000+k)
            acts.append(tip)
        tips.append(tip)
    last2=tips
    for s in range(0,len(acts),1000):
        numL+=1
        last=t.stamp("L",*acts[s:s+1000],after=[*last2] if s==0 else [last],number=numL,at=20000+s//1000)
    return t,last,numL
def measure(name,t,last,numL,one):
    ents=list(parents_first(t.entries.values()))
    s=SpaceFold()
    t0=time.process_time()
    for e in ents: s.add(e)
    t1=time.process_time()
    worst=0;steps=0
    for _ in s.steps():
        t=time.process_time(); 
        if steps: worst=max(worst,t-tl)
        steps+=1; tl=time.process_time()
    t2=time.process_time()
    k=s._state.kind
    sc=k.score(); t3=time.process_time()
    c=canonical(s.state()); t4=time.process_time()
    ts=[]
    for o in one:
        q=time.process_time(); s.add(o); assert s.is_current; ts.append(time.process_time()-q)
    ts.sort(); t5=time.process_time(); med=ts[len(ts)//2]; mx=ts[-1]
    k.score(); t6=time.process_time()
    k.course; k.unstamped(); t7=time.process_time()
    rows=sum(len(p.results) for p in sc.players)
    res={}
    for p in sc.players:
        for r in p.results: res[r.result]=res.get(r.result,0)+1
    print(f"{name}: {len(ents)} entries, graph {t1-t0:.2f}s fold {t2-t1:.2f}s (worst step {worst*1000:.0f}ms) score {t3-t2:.2f}s rows {rows} {res} canonical {t4-t3:.2f}s ({len(c)>>10} KiB) one more median {1000*med:.2f} max {1000*mx:.2f}ms rescored {t6-t5:.2f}s course+unstamped {t7-t6:.3f}")
if __name__=="__main__":
    which=sys.argv[1]
    V=[expecting("x","sight",{"values":("a.example",)},late=10_000,by=("clinic","ward")),expecting("y","publish",{"values":("a.example","b.example"),"to":("ward",)},by=("clinic","ward")),expecting("z","acknowledge")]
    if which=="10k": t,last,n=build(9_900,"A",[inject_of(i,*V) for i in range(1,13)])
    if which=="50k": t,last,n=build(9_700,"ABCOW",[inject_of(i,*V[:2]) for i in range(1,401)], value_of=lambda k:["a.example","b.example",f"c{k}.example"][k%3])
    if which=="1000i": t,last,n=build(9_700,"ABC",[inject_of(i,*V) for i in range(1,1001)])
    if which=="objects": t,last,n=build(9_700,"A",[inject_of(i,expecting("y","publish",{"values":tuple(f"v{j}-{i%7}.example" for j in range(16)),"to":("ward",)})) for i in range(1,60)],objects=True)
    ones=[];num=t.last_number("B",[last])
    for i in range(60):
        num+=1; last=t.sight("B","a.example",after=[last],number=num,at=40000+i); ones.append(t.entries.pop(last)); t.entries[last]=ones[-1]
    for o in ones: del t.entries[o.entry_id]
    measure(which,t,last,n,ones)
